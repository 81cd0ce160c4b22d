"""Units of work as frozen values, and where their results lie."""
