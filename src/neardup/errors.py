"""Every failure that a user can act on.

The message is the only argument, so that an error survives a trip between processes. It says what went wrong,
where, and what to do next, in one line; `neardup.cli` turns it into exit code 1.
"""


class NeardupError(Exception):
    """Base of every error that is not a bug."""


class BadInput(NeardupError):
    """An argument, a path or a URL that cannot be used."""


class UnreadableImage(NeardupError):
    """One image that cannot be decoded: it is counted, and the run goes on."""


class DamagedIndex(NeardupError):
    """An index folder whose files do not agree with each other, or with this version."""


class NotTrusted(NeardupError):
    """An index, or a journal in one, that this user is not known to have made: nothing in it is acted on."""


class IndexLocked(NeardupError):
    """Another process is writing to the index."""


class IndexNotWritten(NeardupError):
    """A change to an index that could not be made durable: a full disk, a failing one."""


class ModelMismatch(NeardupError):
    """Embeddings of one model offered to an index of another."""


class BadModel(NeardupError):
    """A model folder that is missing, incomplete, or not what its config says."""


class BadWeights(BadModel):
    """Weights whose names or shapes are not the architecture's."""


class EngineUnavailable(NeardupError):
    """An engine that cannot run on this machine: the message names what is missing."""


class EngineFailed(NeardupError):
    """An engine that failed at work: out of memory, or by a model that is not what its config says."""


class MissingPackage(NeardupError):
    """An optional package that is not installed: the message names the extra."""


class ConversionFailed(NeardupError):
    """A converted model that could not be made, or does not give the reference's embeddings."""


class DownloadFailed(NeardupError):
    """A download that is not whole, or not what the server says it is; what there is of it is kept for a resume."""


class ClusterFailed(NeardupError):
    """A Ray cluster that cannot be reached, or that does not do the work."""
