"""Every field a run can have, once, with its default. Other configs start from `base()`."""

import ml_collections
from ml_collections.config_dict import placeholder


def base() -> ml_collections.ConfigDict:
    """The complete configuration; a key that is not here does not exist."""
    c = ml_collections.ConfigDict()

    c.seed = 0  # initialisation, data order, augmentation and dropout all derive from it

    c.model = ml_collections.ConfigDict()
    c.model.name = "resnet50"  # a name of the model registry
    c.model.dtype = "float32"  # compute type: float32 or bfloat16; parameters stay float32
    # None is the family's own default; a family that lacks the field refuses another value.
    c.model.width = placeholder(int)  # channels of the first stage, or of every token
    c.model.native_size = placeholder(int)  # side of the input that published weights expect
    c.model.dropout = placeholder(float)  # rate before the head
    c.model.clip_attention = placeholder(int)  # units of the head that weighs frames of a clip
    c.model.stochastic_depth = placeholder(float)  # drop rate of the last residual branch
    c.model.zero_init_residual = placeholder(bool)  # residual blocks begin as the identity
    c.model.pool = placeholder(str)  # of a transformer: token, mean or attention
    c.model.class_token = placeholder(bool)  # of a transformer: a token that is not a patch
    c.model.gelu = placeholder(str)  # of a transformer: exact, tanh or quick
    c.model.norm_epsilon = placeholder(float)  # of the norms, as published weights expect
    c.model.remat = placeholder(bool)  # compute activations twice instead of keeping them
    c.model.mean = placeholder(tuple)  # of RGB in 0..1, taken from every pixel
    c.model.std = placeholder(tuple)  # of RGB in 0..1, divides every pixel

    # What to start from: a workdir, a checkpoint, a file of weights, package:NAME, or the name of
    # weights that come with dfjax (efficientnet_lite0); "" is none.
    c.init_from = ""
    c.reinit = r"head/.*"  # parameters that start afresh; "" keeps the head of a run, too

    c.data = ml_collections.ConfigDict()
    c.data.dir = "data/synthetic"  # what `dfjax prepare --out` wrote
    c.data.train_split = "train"
    c.data.val_split = "val"  # chooses checkpoint, temperature and thresholds
    c.data.test_split = "test"  # scored once, by the evaluation after training
    c.data.allow_leaks = False  # train although the splits share people, videos or pictures
    # Further data to train on: ("DIR:SPLIT", weight), where `dir` weighs 1. Pairs are dealt by
    # weight, not by the number of crops; a dataset may lack a class.
    c.data.more = ()
    # What is drawn evenly, the outermost first, of corpus, method and identity. Empty: every crop
    # of a dataset comes once before one comes again.
    c.data.balance = ()
    # Probability that a fake comes next to its own original, in the same frame and box where that
    # is known; else next to any real. At 1, only reals that fakes were made from are seen.
    c.data.pairing = 0.5
    c.data.image_size = 224  # side of the model's input in pixels; crops are resized to it
    c.data.num_workers = 0  # loader processes; 0 reads in threads of the main process
    c.data.num_threads = 2  # reading threads where num_workers is 0
    c.data.prefetch = 4  # batches kept ready

    c.blend = ml_collections.ConfigDict()  # fakes made from reals while training
    c.blend.share = 0.0  # of all pairs; at 1, no fake is needed
    # Of the blended pairs: the face of another identity, or another frame of the same clip, blended
    # onto a real; the others blend a real with itself, transformed.
    c.blend.cross = 0.0
    c.blend.neighbour = 0.0

    c.augment = ml_collections.ConfigDict()
    c.augment.flip = 0.5  # probability of a horizontal flip
    # The next three are small because a network trained from scratch first learns by place; recipes
    # that begin with published weights move crops more.
    c.augment.rotate = 3.0  # largest rotation in degrees, either way
    c.augment.zoom = 0.02  # largest relative change of scale, either way
    c.augment.shift = 0.01  # largest translation as a share of the side, either way
    c.augment.colour = 0.15  # largest relative change of brightness, contrast and saturation
    c.augment.blur = 0.1  # probability of a Gaussian blur (sigma 0.3 to 1.2 pixels)
    c.augment.noise = 0.0  # probability of noise (standard deviation 1 to 12 grey levels)
    c.augment.jpeg = 0.2  # probability of a JPEG round trip (quality 40 to 100)
    # Of pairs that show the same frame in the same box:
    c.augment.mixup = 0.0  # probability that a fake fades into its real, with a soft label
    c.augment.cutout = 0.0  # probability that a part of the face is painted black

    # What makes stored crops worse, both of a pair alike, before they are resized and augmented
    # (dfjax/data/degrade.py). Of two bounds the first is the mildest where a strength is drawn.
    c.degrade = ml_collections.ConfigDict()
    c.degrade.probability = 0.0  # share of pairs that are degraded; 0 is off
    # (a, b) of Beta: how far to the worst a pair's `shuffled` may go
    c.degrade.strength = (1.2, 1.2)
    c.degrade.chain = ml_collections.ConfigDict()
    c.degrade.chain.probability = 0.3  # of cycles of JPEG and a resize, before all else
    c.degrade.chain.cycles = (1, 5)  # how many
    c.degrade.chain.quality = (50.0, 95.0)  # of JPEG, evenly
    c.degrade.chain.size = (0.6, 1.2)  # of the crop's side after each cycle, evenly
    c.degrade.shuffled = ml_collections.ConfigDict()  # in random order, each with its probability
    c.degrade.shuffled.smooth = 0.3  # Gaussian along two axes, round Gaussian or box
    c.degrade.shuffled.smooth_sigma = (0.002, 0.02)  # standard deviation, as a share of the side
    c.degrade.shuffled.grain = 0.3  # speckle or photon noise
    c.degrade.shuffled.grain_speckle = (0.01, 0.15)  # standard deviation, as a share of the value
    c.degrade.shuffled.grain_photons = (10_000.0, 200.0)  # counted where a pixel is white
    c.degrade.shuffled.resize = 0.3  # one in five up, the others down
    c.degrade.shuffled.resize_down = (1.0, 0.3)  # factor of the side
    c.degrade.shuffled.resize_up = (1.0, 1.5)  # factor of the side
    c.degrade.shuffled.noise = 0.15  # Gaussian noise
    c.degrade.shuffled.noise_sigma = (1.0, 20.0)  # standard deviation in levels of 255
    c.degrade.shuffled.strong_noise = 0.05  # Gaussian noise that nobody overlooks
    c.degrade.shuffled.strong_noise_sigma = (15.0, 35.0)  # standard deviation in levels of 255
    c.degrade.shuffled.jpeg = 0.3
    c.degrade.shuffled.jpeg_quality = (95.0, 25.0)
    c.degrade.shuffled.tone = 0.3  # brightness or contrast
    c.degrade.shuffled.tone_change = (0.0, 0.4)  # relative, either way
    # Last, one of these at most; bounds are drawn from evenly.
    c.degrade.publication = ml_collections.ConfigDict()
    c.degrade.publication.jpeg = 0.3
    c.degrade.publication.jpeg_quality = (45.0, 95.0)
    c.degrade.publication.twice = 0.15  # JPEG of one quality, then of another
    c.degrade.publication.twice_quality = (45.0, 85.0)
    c.degrade.publication.webp = 0.15
    c.degrade.publication.webp_quality = (50.0, 90.0)
    c.degrade.publication.avif = 0.05
    c.degrade.publication.avif_quality = (40.0, 80.0)
    c.degrade.publication.shrink = 0.1  # a largest size, and then JPEG
    c.degrade.publication.shrink_size = (0.5, 1.0)  # factor of the side
    c.degrade.publication.shrink_quality = (60.0, 90.0)
    c.degrade.publication.film = 0.1  # H.264, as the middle one of five frames
    c.degrade.publication.film_crf = (17.0, 40.0)
    c.degrade.publication.film_motion = 0.01  # largest share of the side between two frames

    # Images per update over all devices and processes, half of them fake; with attention, clips.
    c.batch_size = 64
    c.grad_accum_steps = 1  # microbatches per update, each of whole (real, fake) pairs
    c.num_steps = 10_000  # updates
    # Of a run that trains the head alone (optimizer.lr_rules): draws of each crop whose embeddings
    # are computed once, before the first step, and kept in the workdir. 0: anew at every step.
    c.cache_views = 0
    # How the frames of a clip become one score (dfjax/pooling.py): mean, confidence or attention.
    # The last is trained: see configs/clips.py.
    c.pooling = "mean"
    c.clip_frames = 16  # with attention, frames of a clip that an update sees
    c.loss = "bce"  # a name of the loss registry: bce or focal
    c.label_smoothing = 0.0  # 0.1 trains towards 0.05 and 0.95
    c.ema_decay = 0.0  # decay of the averaged weights that evaluation then uses; 0 is off

    c.optimizer = ml_collections.ConfigDict()
    c.optimizer.name = "adamw"  # adamw or sgd
    c.optimizer.lr = 1e-3  # peak, reached after the warm-up, then a cosine to zero
    c.optimizer.warmup_steps = 200  # updates below the peak, rising in a line; 0 starts with it
    c.optimizer.momentum = 0.9  # Nesterov, sgd only
    c.optimizer.weight_decay = 1e-4  # decoupled
    c.optimizer.weight_decay_rule = r".*/kernel"  # parameters that decay: names that match fully
    c.optimizer.clip_norm = 1.0  # largest global gradient norm; 0 is off
    # (names that match fully, factor of the learning rate): the first that matches; 0 freezes.
    c.optimizer.lr_rules = ()

    c.writers = ("tensorboard",)  # where metrics go besides metrics.jsonl (dfjax/writers)
    c.log_every = 50  # steps between rows of metrics; divides all that is done "every" so often
    c.checkpoint_every = 1_000  # steps between checkpoints; those that may be best are always saved
    c.keep_checkpoints = 2  # latest checkpoints kept next to the best one
    # What a loss or a gradient that is no finite number does (dfjax/divergence.py). stop: ends the
    # run. skip: leaves the update out. rollback: goes back to the newest checkpoint and leaves out
    # the batches from there on, three times at most.
    c.on_divergence = "stop"
    c.early_stop_patience = 0  # measurements without a better select_by before the end; 0 is off

    # What is measured during training: by name, an evaluator of dfjax/evaluators with its own data
    # and period. A second validation set is one more entry, such as
    # c.evals.celebdf = {"type": "ranking", "data": "data/celebdf_v2:val", "every": 1_000}
    c.evals = ml_collections.ConfigDict()
    c.evals.val = ml_collections.ConfigDict()
    c.evals.val.type = "ranking"  # a name of the evaluator registry
    c.evals.val.data = ""  # "DIR:SPLIT" of a prepared dataset; "" is data.dir and data.val_split
    c.evals.val.every = 1_000  # steps between measurements; the last step is always measured
    c.select_by = "val/auc"  # the highest of this evaluator/metric is the best checkpoint

    c.eval = ml_collections.ConfigDict()
    c.eval.batch_size = 128  # over all devices and processes
    c.eval.data = ()  # "DIR:SPLIT" prepared datasets to score; empty: data.dir:test_split
    # Of validation reals called fake, and of fakes called real; scores between are inconclusive.
    # None: as the run's model card has it, 0.05 where there is none yet.
    c.eval.abstain_error_rate = placeholder(float)
    c.eval.by = ()  # columns that results are parted by; "gender,age" by both
    c.eval.gate_crops = 1_500  # training crops that a gate for strangers learns from; 0 is off
    c.eval.trivial_cues = 4_000  # crops per split that the trivial-cue baseline reads; 0 is off
    c.eval.allow_other_crops = False  # score data whose CropSpec is not the training data's

    c.compile_cache = "~/.cache/dfjax/xla"  # compiled programs of earlier runs; "" is off
    return c
