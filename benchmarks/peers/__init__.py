"""What timm, fastai and Hugging Face do to load and to train; it imports nothing of this project but each other."""
