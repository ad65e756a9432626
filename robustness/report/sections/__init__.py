"""The writers of the sections: one module per question, from tables to answers, figures and tables."""
