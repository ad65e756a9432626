"""Parts that architecture families are built from; the families themselves lie one folder up."""
