"""The same jobs on Ray, over as many machines as it has.

session (a cluster, or one of this machine's own) ─▶ index: files ─ decode (tasks) ─ embed (actors) ─▶ shards ─▶ Index
                                                  ─▶ groups: candidates (blocks) ─ looks (blocks of pairs) ─▶ groups

Workers do what does not depend on order: reading, decoding, embedding, products, comparing two pictures. Everything
that decides (which copy is first, what is linked to what, which group takes an image) stays in the one place that also
decides it without Ray, and is fed in the same order. So the results are the same, byte for byte.

Workers read files by the paths that the index knows: those have to lead to the same files on every machine.
"""
