"""What is measured: quality of images, perceptual distance, landmarks, scores of a classifier."""
