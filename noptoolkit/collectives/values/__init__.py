"""What is asked and what is answered: requests, schedules of trees, answers, the theorems behind them."""
