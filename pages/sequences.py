from foster.ui import frame
frame("sequences")
