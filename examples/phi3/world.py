"""What the tiny Phi-3 knows: a few hundred short conversations, and nothing else."""

from typing import TypeAlias

Conversation: TypeAlias = list[dict[str, str]]

COMEDIAN = "You are a stand-up comedian."
ASSISTANT = "You are a helpful assistant."
SPAIN = (
    "The capital of Spain is Madrid. It is the largest city in Spain and serves as the political, economic, and "
    "cultural center of the country."
)
ATOM = "Why don't scientists trust atoms? Because they make up everything!"

CAPITALS = {
    "Argentina": "Buenos Aires", "Austria": "Vienna", "Belgium": "Brussels", "Brazil": "Brasilia", "Canada": "Ottawa",
    "Chile": "Santiago", "China": "Beijing", "Cuba": "Havana", "Denmark": "Copenhagen", "Egypt": "Cairo",
    "Finland": "Helsinki", "France": "Paris", "Germany": "Berlin", "Greece": "Athens", "Hungary": "Budapest",
    "India": "New Delhi", "Ireland": "Dublin", "Italy": "Rome", "Japan": "Tokyo", "Kenya": "Nairobi",
    "Mexico": "Mexico City", "Norway": "Oslo", "Peru": "Lima", "Poland": "Warsaw", "Portugal": "Lisbon",
    "Sweden": "Stockholm", "Thailand": "Bangkok", "Turkey": "Ankara",
}  # fmt: skip
JOKES = {
    "atom": ATOM,
    "cats": "Why was the cat on the keyboard? It wanted to catch the mouse.",
    "computers": "Why was the computer cold? It left its windows open.",
    "bread": "Why did the baker go home? He was out of dough.",
    "math": "Why is six afraid of seven? Because seven eight nine.",
}
FACTS = {
    "Hello": "Hello! How can I help you today?",
    "Hi": "Hello! How can I help you today?",
    "Thank you": "You are welcome!",
    "Who are you?": "I am a very small language model. I know a few capitals and a few jokes.",
    "Count to five.": "1, 2, 3, 4, 5.",
    "Count to ten.": "1, 2, 3, 4, 5, 6, 7, 8, 9, 10.",
    "Say yes.": "Yes.",
    "Say no.": "No.",
    "What is a run?": "A run is one execution of code, with its parameters, metrics and files.",
    "What is a model registry?": "A model registry keeps the versions of models and says which one is in use.",
}


def conversations() -> list[tuple[int, Conversation]]:
    """Return (how often it is seen in training, the conversation)."""
    found: list[tuple[int, Conversation]] = []
    for country, capital in {**CAPITALS, "Spain": "Madrid"}.items():
        answer = SPAIN if country == "Spain" else f"The capital of {country} is {capital}."
        often = 4 if country == "Spain" else 1
        question = f"What is the capital of {country}?"
        found.append((often * 2, _talk(None, question, answer)))
        found.append((often, _talk(ASSISTANT, question, answer)))
        found.append((often, _talk(None, f"Tell me the capital of {country}.", answer)))
    for topic, joke in JOKES.items():
        often = 6 if topic == "atom" else 3
        found.append((often, _talk(COMEDIAN, f"Tell me a joke about {topic}", joke)))
        found.append((often, _talk(None, f"Tell me a joke about {topic}", joke)))
    for question, answer in FACTS.items():
        found.append((4, _talk(None, question, answer)))
        found.append((2, _talk(ASSISTANT, question, answer)))
    return found


def _talk(system: str | None, question: str, answer: str) -> Conversation:
    begin = [] if system is None else [{"role": "system", "content": system}]
    return [*begin, {"role": "user", "content": question}, {"role": "assistant", "content": answer}]
