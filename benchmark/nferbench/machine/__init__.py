"""What this computer has: cores and GPUs."""
