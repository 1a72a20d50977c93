"""What the window knows: observable, without any toolkit."""
