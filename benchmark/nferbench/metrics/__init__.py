"""What is measured: quality of images, perceptual distance, scores of a classifier."""
