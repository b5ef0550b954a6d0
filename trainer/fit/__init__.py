"""From a recording to a patch: the point of a bank's timbre space that sounds most like it."""
