"""What predictions need besides the network: preprocessing, views, temperature and certainty."""
