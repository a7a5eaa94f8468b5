"""The gallery: the launches and their pictures as a static site in the storage, for people to look at.

`site` says what is written where, `pages` what stands on a page, `cards` what is said of a launch, `summaries` what the
index knows of a month, `thumbnails` how small pictures are come by, `licences` which pictures may be shown.
"""
