"""What plugins see and rooms rest on: faces, data sets, detectors, methods, recognisers, metrics, errors, values."""
