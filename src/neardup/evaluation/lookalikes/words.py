"""Plausible words, sentences, names and figures, drawn by a seed."""

from __future__ import annotations

import numpy as np

from neardup.evaluation.drawing import pick


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


NOUNS = _words(
    """
    account anchor answer apple arrow autumn balance bank barrel basket beach bell bench berry bicycle bird
    blanket board boat book border bottle bowl branch bread bridge brother bucket butter button cabin cable cake
    camera candle canvas captain carpet castle cattle ceiling chain chair channel chapter cheese cherry church
    circle clock cloth cloud coast coffee copper corner cotton cousin cradle creek crowd crown curtain daughter
    desert dinner doctor door dragon drawer driver engine envelope evening fabric farmer father feather fence
    ferry field finger fire fisher flag flame flour flower forest fountain friend frost fruit garden gate ghost
    glass glove grain grass guest hammer harbour harvest hat helmet herring hill holiday honey horse hotel hour
    house insect island jacket journey judge kettle key kitchen knife ladder lake lamp lantern leaf leather
    lemon letter library light lion lock magnet maple market marsh meadow melon merchant metal mill mineral
    mirror mistake money monkey moon morning mother motor mountain museum music needle neighbour nephew nest
    night notebook oak ocean office onion orchard oven owl package page paint palace paper parcel parrot pasture
    path pepper piano picture pigeon pillow pilot planet plate pocket pond poppy potato prince pump puzzle
    quarry quilt rabbit railway rain ribbon river road roof rope saddle sail salt sand school seed shadow sheep
    shell ship shoe shovel signal silver singer sister sky slope smoke snow soldier spoon spring stable station
    stone storm story stove street string summer supper table tailor tea teacher temple tent thread throat
    thunder ticket tiger timber tower town traveller tree tunnel uncle valley vessel village violin voice wagon
    wall water weather wheel whistle widow willow window winter wolf wood yard
    """
)
ADJECTIVES = _words(
    """
    able ancient bitter black blind blue bold brave brief bright broad broken brown calm careful cheap clean
    clear clever cold common cool crooked curious dark dear deep distant double dry dull early eager empty
    famous fine firm fresh friendly gentle golden good grave green grey happy hard heavy hidden high hollow
    honest hungry idle kind large late lazy light little lonely long loud low modern narrow new nervous old open
    pale patient plain pleasant polite poor proud quick quiet rare red restless rich rough round sad secret
    serious sharp short shy silent simple slow small soft solid sour steady steep stern strange strong sudden
    sweet tall tame thin tired true ugly upper warm weak wet white whole wide wild wise wooden wrong yellow
    young
    """
)
VERBS = _words(
    """
    admired answered avoided borrowed bought broke brought built buried called carried caught chose cleaned
    climbed closed counted covered crossed defended delayed described discovered drew dropped emptied entered
    examined expected feared fetched filled finished followed forgot found gathered guarded handed heard held
    helped hid ignored imagined inspected invited joined kept kicked knew learned left lifted lost loved
    measured mended missed mixed moved needed noticed offered opened ordered packed painted passed praised
    promised pulled pushed reached remembered repaired returned saved searched sent served shared showed shut
    sold stopped studied suspected taught thanked threw told touched turned visited wanted warned washed watched
    wrote
    """
)
ADVERBS = (
    "again", "at once", "by chance", "carefully", "early", "every year", "for once", "gladly", "in silence", "in vain",
    "late", "loudly", "on purpose", "once", "quickly", "slowly", "softly", "sometimes", "soon", "that day", "twice",
)  # fmt: skip
PLACES = _words(
    """
    across against along among behind below beside beyond near opposite over through towards under
    """
)
JOINTS = ("and", "but", "while", "because", "so", "until", "though", "as")
FIRST_NAMES = _words(
    """
    Ada Alma Anton Bela Bruno Carla Clara Dora Edgar Elsa Emil Erik Fanny Felix Frida Greta Hanna Hugo Ida Ines
    Ivo Jakob Jana Jonas Karl Klara Lena Leo Lotte Marta Max Mila Nina Nora Olga Oskar Otto Paula Rosa Ruth
    Selma Simon Sofia Theo Tilda Viktor Vera Walter
    """
)
SURNAMES = _words(
    """
    Abbott Ames Barlow Becker Bishop Brandt Carver Clarke Conrad Dalton Decker Ellis Engel Farmer Fischer Fuller
    Garland Graves Hale Hansen Hoffman Holt Irving Jansen Keller Kovacs Larsen Lindt Marsh Meyer Moreau Nagy
    Novak Olsen Palmer Petrov Quinn Reeves Rossi Sander Schmidt Silva Sorensen Tanner Turner Vogel Wagner Weber
    Winter York Zeller
    """
)
TOWNS = _words(
    """
    Ashford Birchfield Brookdale Castleton Clearwater Dunmore Eastbury Fairview Glenwood Harborough Kingsbridge
    Lakeside Marlow Millbrook Newhaven Northgate Oakham Pinewood Redcliff Riverton Sandford Stonebridge Thornton
    Waterford Westfield Whitby Wickham Woodstock
    """
)
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
          "December")  # fmt: skip
MESSAGES = (
    "are you still at the {noun}?",
    "no idea, ask {name}",
    "I left the {noun} at your place",
    "ok see you {day} then",
    "{name} says the {adjective} one is better",
    "haha that {noun} was so {adjective}",
    "can you bring a {noun} and some {noun}?",
    "running late, {minutes} minutes",
    "did you see what {name} wrote?",
    "we {verb} the {noun}, finally!",
    "the {noun} costs {minutes} euros, too much?",
    "call me when you are in {town}",
    "sure",
    "not before {day}, sorry",
    "I think {name} {verb} it {adverb}",
    "happy birthday {name}!!",
    "what about the {adjective} {noun} near the {noun}?",
    "that would be {adjective}, thanks",
    "the train to {town} is delayed again, {minutes} min",
    "ok",
    "who has the key to the {noun}?",
    "tell {name} I said hello",
    "I {verb} the {noun} twice and it still looks {adjective}",
    "lunch on {day}? the {noun} place",
)


def clause(rng: np.random.Generator) -> str:
    """`the old harbour carried a lantern across the meadow`, or nearly."""
    subject = f"the {pick(rng, ADJECTIVES)} {pick(rng, NOUNS)}" if rng.random() < 0.6 else pick(rng, FIRST_NAMES)
    words = f"{subject} {pick(rng, VERBS)} the {pick(rng, NOUNS)}"
    chance = rng.random()
    if chance < 0.5:
        words += f" {pick(rng, PLACES)} the {pick(rng, NOUNS)}"
    elif chance < 0.7:
        words += f" {pick(rng, ADVERBS)}"
    return words


def sentence(rng: np.random.Generator) -> str:
    words = clause(rng)
    if rng.random() < 0.55:
        words += f", {pick(rng, JOINTS)} {clause(rng)}"
    return capitalized(words) + ".?!."[int(rng.integers(4)) if rng.random() < 0.1 else 0]


def paragraph(rng: np.random.Generator, sentences: int) -> str:
    return " ".join(sentence(rng) for _ in range(sentences))


def capitalized(words: str) -> str:
    return words[:1].upper() + words[1:]


def title(rng: np.random.Generator) -> str:
    """`The Silent Harbour`, `Of Lanterns and Copper`: headings of books, chapters, slides."""
    noun, other = pick(rng, NOUNS).title(), pick(rng, NOUNS).title()
    adjective = pick(rng, ADJECTIVES).title()
    forms = (
        f"The {adjective} {noun}",
        f"{noun} and {other}",
        f"The {noun} in {pick(rng, TOWNS)}",
        f"{adjective} {noun}, {pick(rng, ADJECTIVES).title()} {other}",
        f"How to Mend {'an' if adjective[0] in 'AEIOU' else 'a'} {adjective} {noun}",
        f"On the {noun} of {pick(rng, SURNAMES)}",
    )
    return forms[int(rng.integers(len(forms)))]


def message(rng: np.random.Generator) -> str:
    """A line of a chat."""
    return pick(rng, MESSAGES).format(
        noun=pick(rng, NOUNS),
        adjective=pick(rng, ADJECTIVES),
        verb=pick(rng, VERBS),
        adverb=pick(rng, ADVERBS),
        name=pick(rng, FIRST_NAMES),
        day=pick(rng, DAYS),
        town=pick(rng, TOWNS),
        minutes=int(rng.integers(3, 60)),
    )


def person(rng: np.random.Generator) -> str:
    return f"{pick(rng, FIRST_NAMES)} {pick(rng, SURNAMES)}"


def company(rng: np.random.Generator) -> str:
    return f"{pick(rng, SURNAMES)} & {pick(rng, SURNAMES)} {pick(rng, ('Ltd', 'GmbH', 'Inc', 'BV', 'and Sons'))}"


def address(rng: np.random.Generator) -> tuple[str, str]:
    """Street and town."""
    street = f"{int(rng.integers(1, 240))} {pick(rng, NOUNS).title()} {pick(rng, ('Street', 'Road', 'Lane', 'Square'))}"
    return street, f"{int(rng.integers(10000, 99999))} {pick(rng, TOWNS)}"


def amount(cents: int) -> str:
    """1,234.50"""
    return f"{cents / 100:,.2f}"
