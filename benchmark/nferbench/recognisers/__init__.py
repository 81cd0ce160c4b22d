"""The built-in expression recognisers: light plugin modules; networks and tensor code load when they are needed."""
