"""Attribution graphs: circuits whose nodes are features of transcoders."""
