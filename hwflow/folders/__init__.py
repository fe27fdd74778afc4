"""The folders that hwflow writes and opens again: designs and projects."""
