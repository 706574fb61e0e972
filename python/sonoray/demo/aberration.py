"""placeholder"""
def aberration(offline):
    raise NotImplementedError
