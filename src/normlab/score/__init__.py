"""`normlab score`: a fixed battery of small trials for one norm, decided against other norms by the rules of the claims."""
