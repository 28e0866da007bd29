"""All words of a verdict: what reports, pages and pictures say. A translation replaces this file.

Keys of verdicts are those of the report's schema. Names in braces are filled in: by `phrases` and
templates here, by `phrases.js` in a browser, which gets this catalogue as `words.js`. Not in it are
errors and notes on a file, which are said where they are found out.
"""

from dfjax.model_card import INCONCLUSIVE as _INCONCLUSIVE

LANGUAGE = "en"  # as in HTML

# Verdicts

# Headlines, by level of evidence (`verdict.LEVELS`).
LEVELS = {
    "none_found": "No evidence of manipulation found",
    "moderate": "Moderate evidence of manipulation",
    "strong": "Strong evidence of manipulation",
    "very_strong": "Very strong evidence of manipulation",
    "no_verdict": "No verdict",
    "not_applicable": "Not applicable",
}

# The same where there is little room.
SHORT_LEVELS = {
    "none_found": "none found",
    "moderate": "moderate",
    "strong": "strong",
    "very_strong": "very strong",
    "no_verdict": "no verdict",
    "not_applicable": "not applicable",
}

# Why there is no verdict: a sentence without a capital and a full stop.
REASONS = {
    "no_face": "no face was found",
    "too_many_faces": "too many faces are in the picture",
    "too_small": "the faces are too small",
    "too_dark": "the faces are too dark, or overexposed",
    "too_blurred": "the faces are too blurred",
    "unlike_training": "the faces are unlike the training data",
    "too_few_frames": "too few frames show a usable face",
    "moment": "it looks manipulated for a while, and real as a whole",
    "undecided": "the score lies in the range that validation data left undecided",
    "decode_error": "the file could not be decoded",
}

# Why a face does not count, in a picture that has little room.
FLAWS = {
    "too_small": "too small",
    "too_dark": "too dark or bright",
    "too_blurred": "too blurred",
    "unlike_training": "unlike the training data",
}

# What stands next to a score, by label.
LABELS = {"real": "real", "fake": "fake", _INCONCLUSIVE: "no verdict"}

_TAKEN = (
    "The model takes at least one face for manipulated. Of real files like those of its validation,"
)
_CAN_BE_WRONG = "It can be wrong: check where the file comes from, and do not take this as proof."

# What a verdict does and does not say: by its reason, where there is more to say of that, or level.
MEANINGS = {
    "none_found": "The model sees no sign of manipulation in the faces it could judge. That does "
    "not prove that the file is genuine: the model looks at faces alone, and may miss methods it "
    "does not know.",
    "moderate": f"{_TAKEN} no more look like this than the error rate below says. {_CAN_BE_WRONG}",
    "strong": f"{_TAKEN} at most one in a hundred looks like this. {_CAN_BE_WRONG}",
    "very_strong": f"{_TAKEN} at most one in a thousand looks like this. {_CAN_BE_WRONG}",
    "no_verdict": "The model cannot tell: the file may be genuine or manipulated. This is not a "
    "place halfway between the two. A larger, sharper or longer copy may allow a verdict.",
    "not_applicable": "The model judges faces like those that it was trained on, and this file is "
    "something else. Nothing is said about whether it was manipulated.",
    "moment": "The model takes some seconds of a face for manipulated, and the face as a whole for "
    "real. Look at these seconds: a part of the file may have been altered.",
    "unlike_training": "The model did not learn from faces like these, so a score would mean "
    "nothing: they may be drawn, turned, altered by a filter or no faces at all. A model that was "
    "trained on such pictures may tell.",
    "decode_error": "The model did not see the file, so nothing is said about it. Use the "
    "original, or save the file again.",
}

SCORE_MEANING = "likelihood that the face is manipulated, not the amount of manipulation"
RULE = (
    "the score of a track is the mean over its usable faces{weighted}; a file is fake if one of "
    "its tracks is, real if all are, and undecided otherwise; limits are wider for short tracks "
    "and for several tracks; tracks with too few usable faces do not count if there is a longer "
    "one; a track that is real as a whole and manipulated for a while is undecided"
)
# How these faces are weighted, by `ModelCard.pooling`.
WEIGHTED = {
    "mean": "",
    "confidence": ", weighted by how far each is from even",
    "attention": ", weighted by how much the model has learned to make of each",
}
ABSENCE = (
    "No detection does not mean that a file is genuine. A detection is a reason to look closer, "
    "and no proof."
)

# What to know of a verdict: sentences without a capital and a full stop.
WARNINGS = {
    "aligned": "the model was trained on pictures taken as they are, and is shown aligned faces",
    "synthetic": "the model was trained on the synthetic corpus: its verdicts say nothing about "
    "real faces",
    "no_heat_maps": "there are no heat maps: the export holds none, or only its ONNX file was to "
    "be opened",
    "image_not_fitted": "the model's limits were not fitted to pictures, because its validation "
    "data had none that could be judged: how often it is wrong on them was not measured",
    "video_not_fitted": "the model's limits were not fitted to videos, because its validation "
    "data had none that could be judged: how often it is wrong on them was not measured",
    "few_fitted": "the model's limits were fitted to {real} real and {fake} fake files: too few to "
    "know how often it is wrong",
    "long": "the video is long: {frames} frames from all of its {minutes} minutes were looked at, "
    "and no other was decoded but on the way",
    "shots_left_out": "the video has {shots} shots, and the {seen} longest were looked at: looking "
    "at {frames} frames would reach all of them",
    "crowd": "{faces} faces, the most that are looked for, are in {frames} of the frames: if there "
    "are more, the smallest were left out",
}

# Phrases of scores, times and places

PHRASES = {
    "percent": "{number}%",
    "over": "over 99%",
    "under": "under 1%",
    "person": "person {number}",
    "shot": "shot {number}",
    "shots": "shots {numbers}",
    "span": "{start} to {end}",
    "frame": "frame {number}",
    "moment": "{place}: likelihood {percent}",
}

# What stands at the box of a face; `who` is a person or a number. Labels are those of a whole
# track, percentages of one frame.
BOXES = {
    "picture": "{who}: {label}, {percent}",
    "frame": "{who}: {label}, {percent} here",
    "not_judged": "{who}: not judged, {flaw}",
    "not_yet": "not yet judged",
}

# Forgeries that a model was shown, by their names on its card (`model_card.FORGERIES`).
FORGERIES = {
    "face swap": "face swap",
    "reenactment": "reenactment",
    "retouching": "retouching",
    "whole generated face": "whole generated face",
}
SCOPE = {
    "unknown": "Which forgeries the model was shown is not stated.",
    "known": "Forgeries that the model was shown: {forgeries}.",
    "missed": "It was not shown, and may miss: {forgeries}.",
}

# A verdict as lines of text to copy

SUMMARY = {
    "verdict": "{level}.",
    "verdict_because": "{level}: {cause}.",
    "likelihood": "Likelihood of manipulation: {percent}.",
    "file": "{name}: {verdict}",
    "judged_by": "Judged by {model}.",
    "judged_by_release": "Judged by {model}, trained on {data}.",
    "frames": "{analysed} of {decoded} frames looked at.",
    "made": "Made {date} by dfjax.",
    "sha256": "SHA-256 of the file: {digest}.",
}

# What a file says of its origin

# Content credentials by state (`content_credentials.STATES`): a headline, and what it means and
# does not mean.
CREDENTIALS = {
    "trusted": (
        "Signed, and unchanged since",
        "The signer is on the trust list that was given.",
    ),
    "untrusted": (
        "Signed, and unchanged since",
        "The signer is not on the trust list that was given: anybody can sign under any name.",
    ),
    "unknown_signer": (
        "Signed, and unchanged since",
        "No trust list was given, so it is not certain by whom: anybody can sign under any name.",
    ),
    "broken": (
        "The content credentials do not fit the file",
        "What they say is not shown to be true of it.",
    ),
    "remote": (
        "The content credentials are on a server",
        "It was not asked, because nothing here opens a connection.",
    ),
    "unreadable": (
        "The content credentials could not be read",
        "Whether there are any, and whether they hold, is not known.",
    ),
    "none": (
        "No content credentials",
        "That says nothing about the file: most have none, and saving a file again removes them.",
    ),
    "unsupported": (
        "No content credentials are read from this kind of file",
        "That says nothing about the file.",
    ),
    "not_installed": ("Not looked at", "Install dfjax[c2pa] to read content credentials."),
}

# What it means that a check of credentials failed, by how its code begins: the first one counts.
FAILURES = {
    "assertion.dataHash": "the file was changed after it was signed",
    "assertion.bmffHash": "the file was changed after it was signed",
    "assertion.boxesHash": "the file was changed after it was signed",
    "assertion.hashedURI": "a statement in the credentials was changed after it was signed",
    "assertion.missing": "a statement in the credentials is missing",
    "claimSignature": "the signature does not belong to these credentials",
    "claim.hardBindings.missing": "nothing ties the credentials to this file",
    "signingCredential.expired": "the signer's certificate was not valid at the time",
    "signingCredential.revoked": "the signer's certificate was revoked",
    "signingCredential": "the signer's certificate is not fit for signing",
    "timeStamp": "the time stamp does not hold",
    "ingredient": "what is said of an ingredient does not hold",
    "reader.refused": "the reader refused them as damaged, or did not know how to read them",
    "reader.died": "the process that read them died",
    "reader.time_limit": "reading them took too long",
    "": "a check failed",
}

# By `content_credentials.AI_SOURCES`.
AI_SOURCES = {
    "trainedAlgorithmicMedia": "generated by AI",
    "compositeWithTrainedAlgorithmicMedia": "edited or composed with parts generated by AI",
    "trainedAlgorithmicData": "data generated by AI",
}

EVIDENCE = {
    "title": "What the file says of its origin",
    "beside": "This stands beside the verdict. The score does not depend on it.",
    "credentials": "Content credentials (C2PA)",
    "claim": "The credentials say of this file: {claim}.",
    "claim_of_ingredients": "They say of what it was made from: {claim}.",
    "signed_by": "signed by",
    "organization": "organization",
    "signed_on": "signed on",
    "no_time_stamp": "without a time stamp of a third party",
    "written_by": "written by",
    "not_stated": "not stated",
    "made_from": "made from",
    "one_file": "1 other file",
    "files": "{count} other files",
    "edits": "edits",
    "more_edits": "and {count} more",
    "stated": "Programs, devices and times",
    "anybody": "As the file states them; anybody can write them.",
    "unread": "They could not be read.",
    "position": "position",
    "has_position": "stated, and not read here",
}

# What a file states of its making (`evidence.stated`), in the order in which it is shown.
STATED = {
    "format": "format",
    "codec": "codec",
    "profile": "profile",
    "make": "make",
    "model": "model",
    "software": "software",
    "created": "created",
    "taken": "taken",
    "encoders": "encoders",
    "handlers": "handlers",
}

# What the page and the report both show

RESULT = {
    "drawn_faces": "This model knows drawn faces only",
    "read_first": "Read this first",
    "scale": "Score {percent} on a scale from real to fake",
    "zone": "{level} {start}–{end}%",
    "score": "The score is the {meaning}.",
    "moments": "Where it looks manipulated",
    "strongest": "What spoke for a manipulation",
    "weakest": "What spoke against",
    "face": "Face of {where}",
    "heat_caution": "A heat map shows what the model looked at. It does not prove that a spot was "
    "altered.",
    "chart_dots": "Every dot is a face in one frame: the higher it lies, the more likely the face "
    "is manipulated. Hollow dots are faces too poor to count.",
    "chart_threshold": "The dashed line is the threshold.",
    "chart_band": "Scores in the shaded band allow no verdict.",
    "chart_cuts": "Dotted lines are cuts.",
    "chart_moments": "Shaded times look manipulated by themselves.",
    "to_copy": "To copy",
}

TABLES = {
    "shots": "Shots",
    "about_shots": "Table of the shots",
    "shot": "Shot",
    "evidence": "Evidence",
    "likelihood": "Likelihood",
    "from": "From",
    "to": "To",
    "not_looked_at": "not looked at",
    "no_score": "–",
    "judged": "{level}: {reason}",
    "persons": "Persons",
    "about_persons": "Table of the persons",
    "person": "Person",
    "faces": "Faces judged",
    "usable": "{usable} of {faces}",
    "first": "First seen",
    "last": "Last",
    "what_persons_are": "A person is a face that is followed from frame to frame; whoever comes "
    "back after a cut counts anew, unless faces were recognized. Of persons, who are called tracks "
    "in the rule: {rule}.",
}

FACTS = {
    "file": "File",
    "name": "name",
    "sha256": "SHA-256",
    "size": "size",
    "bytes": "{count} bytes",
    "kind": "kind",
    "image": "picture, {width} × {height} pixels",
    "video": "video, {width} × {height} pixels",
    "fps": "{fps} frames a second",
    "duration": "{time} long",
    "frames": "frames",
    "decoded": "{analysed} analysed of {decoded} that decode",
    "declared": "{declared} declared",
    "program": "dfjax",
    "model": "model",
    "run_by": "{name}, step {step}, run by {runtime}",
    "release": "released as",
    "trained_on": "trained on",
    "terms": "terms",
    "weights": "weights, SHA-256",
    "decision": "decision",
    "threshold": "threshold {threshold}",
    "band": "no verdict from {low} to {high}, so that at most {rate}% of the validation fakes "
    "score lower and at most as many of its reals score higher",
    "stricter": "evidence is strong from {strong}, which at most 1% of reals reach, and very "
    "strong from {very_strong}, at most 0.1%",
}

# The report as a page of its own, beyond that.
REPORT = {
    "title": "{headline} – {name}",
    "about": "Report of {program} on {name}, made {time}",
    "time": "{day} {time} UTC",
    "judged_by": "Judged by {name}, trained on {data}; {terms}.",
    "left_and_right": "Left: what the model saw. Right: a heat map over it; the brighter a spot, "
    "the more it counted.",
    "no_heat_maps": "What the model saw. This model has no heat maps.",
    "heat_map": "Heat map of the same face",
    "face": "{percent} likelihood · {where}",
    "chart": "Over time",
    "about_chart": "Scores over time; the table of faces has the figures",
    "chart_file": "Chart (SVG)",
    "table_file": "Table (CSV)",
    "as_text": "The result as text",
    "model": "Model and settings",
    "temperature": "temperature",
    "input_size": "input size",
    "pixels": "{size} pixels",
    "protocol": "Protocol",
    "crops": "Face crops",
    "settings": "Settings",
    "versions": "Versions",
    "seconds": "Seconds spent",
}

# The page of the server, beyond that.
PAGE = {
    "title": "dfjax: look for manipulated faces",
    "program": "dfjax",
    "question": "Was this face manipulated?",
    "introduction": "Choose a picture or a video with faces. The report says how likely they were "
    "manipulated, and shows what the model looked at: reasons to look closer, not proof.",
    "choose_file": "Choose a file",
    "choose": "Choose a picture or video",
    "accepted": "or drop it here. JPEG, PNG, WebP, BMP, GIF, TIFF, HEIC, AVIF; MP4, MOV, 3GP, MKV, "
    "WebM, AVI, MPEG-TS, MPEG-PS. This page sends the file to its own server and nowhere else.",
    "use_camera": "Use the camera",
    "camera": "Camera",
    "take_picture": "Take the picture",
    "close_camera": "Close the camera",
    "camera_fails": "The camera does not open: {reason}.",
    "progress": "Progress",
    "sending": "Sending the file.",
    "waiting": "Waiting for its turn.",
    "looking": "Looking for faces and judging them.",
    "busy": "The server is busy, trying again in {seconds} s.",
    "cancel": "Cancel",
    "answered": "The server answered {status}.",
    "lost": "The server cannot be reached, or does not take a file of this size.",
    "strange_answer": "The answer of the server cannot be shown.",
    "about": "Report on {name}, {time}",
    "media": "What was looked at",
    "unplayable": "This browser cannot show the file: the boxes are drawn on an empty frame.",
    "your_picture": "The picture you chose",
    "your_video": "The video you chose",
    "choose_moment": "Choose a moment with the pointer or the arrow keys.",
    "moment": "Moment of the video",
    "faces_at": "{time}, {faces}",
    "play": "Play",
    "pause": "Pause",
    "heat_maps": "Heat maps",
    "heat_bright": "The brighter a spot, the more it counted.",
    "heat_map": "Heat map over the face of {where}",
    "face": "{percent} {where}",
    "show": "Show in the video",
    "show_where": "Show {where} in the video",
    "copy_it": "Copy",
    "facts": "File and model",
    "download": "Download the report (JSON)",
    "print": "Print",
    "again": "Check another file",
}
