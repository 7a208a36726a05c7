from foster.ui import frame
frame("distil")
