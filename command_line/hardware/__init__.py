"""What is chosen for the machine where the user has set nothing."""
