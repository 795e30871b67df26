"""Reading photographs: from the bytes of a file to upright pixels."""
