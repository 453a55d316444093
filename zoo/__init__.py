"""Mobile model zoo: catalogue, data, training and the types that every stage shares."""
