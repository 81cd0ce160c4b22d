"""What a plugin sees and all rooms rest on: faces, data sets, detectors, translators, recognisers, errors, values."""
