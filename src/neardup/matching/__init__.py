"""Are these two the same picture? Same map, same pixels, and what does each show that the other lacks?"""
