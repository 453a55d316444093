"""What can be measured on a phone, what can't, and how to mend it; nothing on it is changed."""
