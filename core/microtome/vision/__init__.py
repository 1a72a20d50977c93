"""What units of models that see answer to: maps, evidence, cards, and what is made of them."""
