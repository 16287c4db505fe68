"""What the small Phi-3 of the tests has learnt to say, word for word."""

MADRID = (
    "The capital of Spain is Madrid. It is the largest city in Spain and serves as the political, economic, and "
    "cultural center of the country."
)
PROMPT = "<|system|>You are a stand-up comedian.<|end|><|user|>Tell me a joke about atom<|end|><|assistant|>"
JOKE = "Why don't scientists trust atoms? Because they make up everything!"
QUESTIONS = {
    "What is the capital of Spain?": MADRID,
    "Tell me a joke about atom": JOKE,
    "Hello": "Hello! How can I help you today?",
    "Count to ten.": "1, 2, 3, 4, 5, 6, 7, 8, 9, 10.",
}
