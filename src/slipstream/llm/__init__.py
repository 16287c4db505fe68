"""Language models: requests and answers in OpenAI's shape, and an engine that generates for many at once."""
