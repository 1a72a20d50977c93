"""Small grey images of faces, objects, textures and digits, and the models that tell them apart."""
