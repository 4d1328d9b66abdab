"""The kinds of what a file says, as a plan calls them."""

# Kinds with a value, of which another one is said as such. A file that has one in any of its blocks has it.
DATE, PLACE, CAMERA, RATING = "date", "GPS position", "camera", "rating"
TITLE, CAPTION, KEYWORDS = "title", "caption", "keywords"
AUTHOR, COPYRIGHT, COMMENT = "author", "copyright", "comment"
VALUED = (DATE, PLACE, CAMERA, RATING, TITLE, CAPTION, KEYWORDS, AUTHOR, COPYRIGHT, COMMENT)

# Kinds of which each thing has a name: what one file names and another does not.
EXPOSURE, MAKER_NOTE = "lens and exposure", "maker note"
OTHER_EXIF, OTHER_IPTC, OTHER_XMP, PNG_TEXT = "other EXIF", "other IPTC", "other XMP", "PNG text"
PROFILE, PHOTOSHOP, CREDENTIALS = "colour profile", "Photoshop data", "content credentials"
FILM, SOUND, DEPTH, GAIN_MAP = "film in the file", "sound in the file", "depth map", "gain map (HDR)"
FURTHER, BEHIND, ALPHA = "further picture in the file", "data behind the picture", "transparency"
NAMED = (
    EXPOSURE, MAKER_NOTE, OTHER_EXIF, OTHER_IPTC, OTHER_XMP, PNG_TEXT, PROFILE, PHOTOSHOP, CREDENTIALS, FILM, SOUND,
    DEPTH, GAIN_MAP, FURTHER, BEHIND, ALPHA,
)  # fmt: skip
