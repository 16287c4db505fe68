"""Identifiers and generated names."""

import secrets

_ADJECTIVES = (
    "able amber ample apt bold brave bright brisk calm clean clear clever cosmic crisp curious daring "
    "deft eager early easy fair fancy fast fine fleet fond fresh gentle glad golden grand happy hardy "
    "honest humble jolly keen kind lively loyal lucky mellow merry mighty neat nimble noble patient "
    "placid polite proud quick quiet rapid rare ready robust serene sharp silent sleek smart smooth "
    "spry steady stoic sunny swift tidy upbeat valiant vivid warm wise witty zesty"
).split()
_NOUNS = (
    "ant auk bass bat bear bee bird boar calf carp cat chimp colt crab crane crow cub deer doe dog dove "
    "duck eel elk ewe fawn finch fish flea fly foal fowl fox frog gnat goat goose grouse gull hare hawk "
    "hen hog horse hound jay kit koi lamb lark loon lynx mare mink mole moose moth mouse mule newt orca "
    "owl panda perch pig pike pug quail ram ray rook seal shad shark sheep shrew shrike skink skunk sloth "
    "slug smelt snail snake snipe sow squid stag steed stoat stork swan tern toad trout vole wasp whale "
    "wolf worm wren yak"
).split()


def new_run_id() -> str:
    """Return 32 random hexadecimal digits."""
    return secrets.token_hex(16)


def new_model_id() -> str:
    """Return the id of a new logged model, `m-` and 32 random hexadecimal digits."""
    return "m-" + secrets.token_hex(16)


def new_run_name() -> str:
    """Return a name such as `swift-otter-417`: easy to say, not unique."""
    return f"{secrets.choice(_ADJECTIVES)}-{secrets.choice(_NOUNS)}-{secrets.randbelow(1000)}"
