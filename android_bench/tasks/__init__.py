"""What is to be measured, in which order, and the row that each measurement becomes."""
