"""What programs ask for: typed endpoints, their envelope, and the document that describes them."""
