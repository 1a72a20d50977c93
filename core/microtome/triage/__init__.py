"""Files of strangers are looked at in a child process first, with limits of time and memory."""
