"""From pictures to prepared faces, and from people to folds."""
