"""Parts that front-ends share."""
