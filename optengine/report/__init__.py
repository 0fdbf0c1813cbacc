"""Tables, pictures and HTML of finished runs."""
