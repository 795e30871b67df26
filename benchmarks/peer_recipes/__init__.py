"""What timm, fastai and Hugging Face do for a whole training; they import nothing of this project but each other."""
