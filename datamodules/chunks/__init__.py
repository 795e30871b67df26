"""Large files of many images, written by ``convert`` and read in a stream."""
