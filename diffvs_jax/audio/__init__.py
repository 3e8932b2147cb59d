"""Sound: files, spectra and chunks. Knows no model."""
