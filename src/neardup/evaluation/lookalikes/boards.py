"""Squares in a grid: QR-like codes, crosswords, sudokus, chess boards."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from neardup.evaluation.drawing import Colour, font_of, pick
from neardup.evaluation.lookalikes import words
from neardup.evaluation.lookalikes.sample import Sample
from neardup.evaluation.lookalikes.shapes import glyph, mask

WHITE: Colour = (255, 255, 255)
BLACK: Colour = (0, 0, 0)
INK: Colour = (25, 25, 25)


def code(sample: Sample) -> Image.Image:
    """A QR-like code of 33 x 33 modules, 10 px each: finder, timing and alignment patterns, and random data."""
    modules = sample.own().integers(0, 2, (33, 33)).astype(np.uint8)
    finder = np.zeros((8, 8), np.uint8)  # with its separator
    finder[:7, :7] = 1
    finder[1:6, 1:6] = 0
    finder[2:5, 2:5] = 1
    modules[:8, :8], modules[:8, -8:], modules[-8:, :8] = finder, finder[:, ::-1], finder[::-1]
    modules[6, 8:-8] = modules[8:-8, 6] = np.arange(17) % 2 == 0
    modules[24:29, 24:29] = 1
    modules[25:28, 25:28] = 0
    modules[26, 26] = 1
    dark = np.pad(np.kron(modules, np.ones((10, 10), np.uint8)), 40)
    return Image.fromarray(np.where(dark, 0, 255).astype(np.uint8)).convert("RGB")


def crossword(sample: Sample) -> Image.Image:
    """An empty crossword of 15 x 15 from one newspaper, numbered, its blocks in half-turn symmetry."""
    common, own = sample.common(), sample.own()
    blocked = own.random((15, 15)) < 0.17
    blocked |= blocked[::-1, ::-1]
    side, left, top = 44, 30, 90
    image = Image.new("RGB", (15 * side + 60, 15 * side + 130), WHITE)
    draw = ImageDraw.Draw(image)
    draw.text((left, 30), f"{pick(common, words.TOWNS)} Gazette Crossword", INK, font_of(30))
    draw.text((image.width - 30, 64), f"No {4100 + sample.number}", INK, font_of(20), anchor="rd")
    padded = np.pad(blocked, 1, constant_values=True)
    starts_across = padded[1:-1, :-2] & ~padded[1:-1, 2:]
    starts_down = padded[:-2, 1:-1] & ~padded[2:, 1:-1]
    number = 0
    for row in range(15):
        for column in range(15):
            x, y = left + column * side, top + row * side
            draw.rectangle((x, y, x + side, y + side), fill=BLACK if blocked[row, column] else WHITE, outline=BLACK)
            if not blocked[row, column] and (starts_across[row, column] or starts_down[row, column]):
                number += 1
                draw.text((x + 4, y + 2), str(number), INK, font_of(12))
    return image


def sudoku(sample: Sample) -> Image.Image:
    """A puzzle of one book: a solved square shuffled, and 28 to 34 of its digits left."""
    own = sample.own()
    rows = np.concatenate([3 * band + own.permutation(3) for band in own.permutation(3)])
    columns = np.concatenate([3 * stack + own.permutation(3) for stack in own.permutation(3)])
    digits = own.permutation(9)[(3 * (rows[:, None] % 3) + rows[:, None] // 3 + columns[None, :]) % 9] + 1
    given = own.permutation(81)[: int(own.integers(28, 35))]
    side, left, top = 60, 30, 80
    image = Image.new("RGB", (9 * side + 60, 9 * side + 120), WHITE)
    draw = ImageDraw.Draw(image)
    draw.text((left, 24), f"Sudoku {sample.number + 1}", INK, font_of(32))
    for line in range(10):
        width = 4 if line % 3 == 0 else 1
        draw.line((left + line * side, top, left + line * side, top + 9 * side), INK, width)
        draw.line((left, top + line * side, left + 9 * side, top + line * side), INK, width)
    for cell in given.tolist():
        row, column = divmod(cell, 9)
        at = left + (column + 0.5) * side, top + (row + 0.5) * side
        draw.text(at, str(digits[row, column]), INK, font_of(36), anchor="mm")
    return image


BOARD_EDGE, SQUARE = 24, 76  # px
# The letters of the notation, capital for white: https://en.wikipedia.org/wiki/Forsyth-Edwards_Notation
START = ("rnbqkbnr", "pppppppp", "........", "........", "........", "........", "PPPPPPPP", "RNBQKBNR")
_FOOT = "f 5 19 19 21.5 0.8"
_TOWER = "p 7.5 19 8.5 9 15.5 9 16.5 19; f 6.5 4 9 9; f 10.8 4 13.2 9; f 15 4 17.5 9; f 6.5 7 17.5 9.5"
_CROWN = "p 7 19 4 8 8.5 13 9 6 12 12.5 15 6 15.5 13 20 8 17 19; d 4 7 1.4; d 9 5 1.4; d 15 5 1.4; d 20 7 1.4"
_CROSS = "p 7 19 6 11 10 9.5 12 13 14 9.5 18 11 17 19; e 5 8 12 15; e 12 8 19 15; f 11 2 13 9; f 9.3 3.6 14.7 5.4"
PIECES = {
    "p": glyph(f"{_FOOT}; p 8 19 10 12 14 12 16 19; d 12 9 3.6"),
    "r": glyph(f"{_FOOT}; {_TOWER}"),
    "n": glyph(f"{_FOOT}; p 7 19 8 14 11 11 6.5 13 5 11 9 5.5 10.5 3 12 5 16 8 17.5 13 17 19"),
    "b": glyph(f"{_FOOT}; p 8 19 9.5 15.5 14.5 15.5 16 19; e 8 6 16 16.5; d 12 4.6 1.7"),
    "q": glyph(f"{_FOOT}; {_CROWN}"),
    "k": glyph(f"{_FOOT}; {_CROSS}"),
}
_STEPS = {
    "n": [(1, 2), (2, 1), (-1, 2), (-2, 1), (1, -2), (2, -1), (-1, -2), (-2, -1)],
    "r": [(0, 1), (1, 0), (0, -1), (-1, 0)],
    "b": [(1, 1), (1, -1), (-1, 1), (-1, -1)],
    "q": [(0, 1), (1, 0), (0, -1), (-1, 0), (1, 1), (1, -1), (-1, 1), (-1, -1)],
    "k": [(0, 1), (1, 0), (0, -1), (-1, 0), (1, 1), (1, -1), (-1, 1), (-1, -1)],
}
Move = tuple[int, int, int, int]  # from row and column, to row and column


def chess_board(sample: Sample) -> Image.Image:
    """A position of one program's board; four in a row are of one game, a move apart."""
    rng = sample.shared(4)
    board = [list(row) for row in START]
    seen = {_placed(board)}
    for ply in range(int(rng.integers(16, 60)) + sample.number % 4):
        moves = _moves(board, white=ply % 2 == 0)
        for choice in rng.permutation(len(moves)).tolist():
            row, column, to_row, to_column = moves[choice]
            moved = [list(rank) for rank in board]
            moved[to_row][to_column], moved[row][column] = moved[row][column], "."
            if _placed(moved) not in seen:  # a knight that went back would show an earlier picture again
                board = moved
                seen.add(_placed(board))
                break
    return _drawn_board(board)


def _placed(board: list[list[str]]) -> str:
    return "".join("".join(row) for row in board)


def _moves(board: list[list[str]], *, white: bool) -> list[Move]:
    """Where the pieces of a side can go, kings never taken; check, castling and promotion are left out."""
    moves: list[Move] = []
    for row in range(8):
        for column in range(8):
            piece = board[row][column]
            if piece == "." or piece.isupper() != white:
                continue
            reach = _pawn_reach if piece in "pP" else _piece_reach
            for to_row, to_column in reach(board, row, column, white=white):
                target = board[to_row][to_column]
                if target in ".pnbrqPNBRQ" and (target == "." or target.isupper() != white):
                    moves.append((row, column, to_row, to_column))
    return moves


def _pawn_reach(board: list[list[str]], row: int, column: int, *, white: bool) -> list[tuple[int, int]]:
    ahead = row - 1 if white else row + 1
    if not 0 <= ahead < 8:
        return []
    reach = [(ahead, side) for side in (column - 1, column + 1) if 0 <= side < 8 and board[ahead][side] != "."]
    if board[ahead][column] == ".":
        reach.append((ahead, column))
        if row == (6 if white else 1) and board[2 * ahead - row][column] == ".":
            reach.append((2 * ahead - row, column))
    return reach


def _piece_reach(board: list[list[str]], row: int, column: int, *, white: bool) -> list[tuple[int, int]]:
    piece = board[row][column].lower()
    reach = []
    for down, right in _STEPS[piece]:
        for distance in range(1, 2 if piece in "nk" else 8):
            to_row, to_column = row + distance * down, column + distance * right
            if not (0 <= to_row < 8 and 0 <= to_column < 8):
                break
            reach.append((to_row, to_column))
            if board[to_row][to_column] != ".":
                break
    return reach


def _drawn_board(board: list[list[str]]) -> Image.Image:
    side, edge = SQUARE, BOARD_EDGE
    image = _squares().copy()
    for row in range(8):
        for column in range(8):
            piece = board[row][column]
            if piece != ".":
                at = edge + column * side + 4, edge + row * side + 4
                body, rim = _piece(piece.lower(), side - 8)
                image.paste((30, 30, 30), at, rim)
                image.paste((250, 248, 240) if piece.isupper() else (70, 66, 62), at, body)
    return image


@lru_cache(maxsize=16)
def _piece(piece: str, side: int) -> tuple[Image.Image, Image.Image]:
    """The body of a piece, and the body with a rim of 2 px around it."""
    body = mask(PIECES[piece], side)
    levels: NDArray[np.uint8] = np.pad(np.asarray(body), 2)
    rim = np.max([levels[y : y + side, x : x + side] for y in range(5) for x in range(5)], axis=0)
    return body, Image.fromarray(rim)


@lru_cache(maxsize=1)
def _squares() -> Image.Image:
    side, edge = SQUARE, BOARD_EDGE
    image = Image.new("RGB", (8 * side + 2 * edge, 8 * side + 2 * edge), (48, 46, 43))
    draw = ImageDraw.Draw(image)
    for row in range(8):
        middle = edge + (row + 0.5) * side
        draw.text((edge / 2, middle), str(8 - row), (220, 220, 220), font_of(15), anchor="mm")
        draw.text((middle, edge + 8 * side + edge / 2), "abcdefgh"[row], (220, 220, 220), font_of(15), anchor="mm")
        for column in range(8):
            x, y = edge + column * side, edge + row * side
            light = (row + column) % 2 == 0
            draw.rectangle((x, y, x + side - 1, y + side - 1), fill=(235, 236, 208) if light else (119, 149, 86))
    return image
