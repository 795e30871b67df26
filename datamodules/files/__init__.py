"""Files and folders: finding them, their entries, their spelling, and text in them."""
