"""Names of commands and options in other programs: timm, Ultralytics, fastai, Hugging Face."""

from difflib import get_close_matches

COMMANDS = {
    "fit": "train training finetune fine_tune learn run start resume continue",
    "validate": "val valid validation",
    "test": "eval evaluate evaluation score benchmark",
    "predict": "infer inference classify prediction pred label",
    "check": "verify inspect doctor analyze analyse lint clean",
    "doubts": "cleanlab label_errors mislabeled mislabelled wrong_labels noisy_labels clean_labels",
    "repeat": "repeats seeds folds crossval cross_validate cross_validation kfold cv multirun multi_run",
    "sweep": "tune hpo optuna search hyperopt hparam_search grid_search hyperparameters ray",
    "preview": "view visualize visualise augment plot",
    "convert": "prepare pack shard",
    "explain": "gradcam grad_cam cam saliency attribution heatmap",
    "export": "onnx torchscript deploy",
    "app": "serve server demo web gradio streamlit ui webui",
    "compare": "diff versus vs",
    "runs": "list ls history results leaderboard experiments",
}
OPTIONS = {
    "trainer.max_epochs": "epochs epoch num_epochs n_epochs nb_epochs max_epoch train_epochs num_train_epochs n_epoch",
    "trainer.max_steps": "steps num_steps iterations iters max_iter max_iters max_train_steps num_training_steps",
    "trainer.devices": "devices device gpus gpu gpu_id gpu_ids num_gpus n_gpu n_gpus ngpus nproc_per_node num_devices",
    "trainer.accelerator": "trainer cpu cuda mps no_cuda use_cpu use_gpu use_cuda",
    "trainer.num_nodes": "nodes nnodes n_nodes",
    "trainer.strategy": "ddp fsdp distributed dist parallel",
    "trainer.precision": "amp fp16 bf16 fp32 half mixed_precision use_amp autocast dtype model_dtype",
    "trainer.gradient_clip_val": "clip_grad grad_clip gradient_clip clip_grad_norm max_grad_norm clip",
    "trainer.accumulate_grad_batches": (
        "accum accumulate grad_accum grad_accum_steps gradient_accumulation_steps accum_iter accum_steps accumulation"
    ),
    "trainer.log_every_n_steps": "log_interval logging_steps print_freq log_freq log_every",
    "trainer.check_val_every_n_epoch": "val_every eval_every val_freq eval_freq eval_interval val_interval",
    "trainer.fast_dev_run": "debug dry_run smoke_test fast_dev",
    "trainer.logger": "logger wandb tensorboard tb report_to log_wandb mlflow",
    "trainer.enable_progress_bar": "progress_bar progress disable_tqdm",
    "trainer.profiler": "profile",
    "model.learning_rate": "lr learning_rate base_lr init_lr initial_lr lr0 lr_base blr head_lr learningrate",
    "model.weight_decay": "wd weight_decay l2 weightdecay",
    "model.optimizer": "opt optim optimizer optimizer_name optimiser",
    "model.backbone": "model arch a architecture backbone net network encoder model_name model_arch model_name_or_path",
    "model.weights": (
        "weights pretrained pretrained_weights pretrained_path initial_checkpoint from_pretrained init_weights"
    ),
    "model.warmup_epochs": "warmup warmup_epochs warmup_steps warmup_ratio lr_warmup lr_warmup_epochs warm_up",
    "model.label_smoothing": "smoothing smooth ls label_smooth",
    "model.mixup_alpha": "mixup mix_up",
    "model.cutmix_alpha": "cutmix cut_mix",
    "model.dropout": "drop drop_rate dropout_rate",
    "model.stochastic_depth": "drop_path drop_path_rate stochastic_depth_prob droppath",
    "model.layer_decay": "llrd layer_lr_decay lr_decay_rate layerwise_decay",
    "model.balanced_loss": "class_weights class_weight weighted_loss balanced",
    "model.pixel_mean": "mean",
    "model.pixel_std": "std",
    "data.root": (
        "data root data_dir data_path data_root datadir dataset dataset_dir dataset_path dataset_name dataset_root "
        "train_dir train_data input_dir image_dir images_dir img_dir image_folder imagefolder root_dir ds"
    ),
    "data.predict_dir": "source input inputs predict_data photos photographs predict_path image",
    "data.batch_size": (
        "bs b batch batch_size batchsize train_batch_size eval_batch_size val_batch_size test_batch_size "
        "validation_batch_size per_device_train_batch_size per_device_eval_batch_size batch_per_gpu"
    ),
    "data.num_workers": "workers j num_workers n_workers nworkers dataloader_num_workers threads num_threads",
    "data.image_size": (
        "imgsz imgsize img_size image_size imagesize input_size size img crop_size resize resolution train_crop_size "
        "val_crop_size val_resize_size img_dim image_dim"
    ),
    "data.val_fraction": "val_split validation_split val_size val_ratio val_pct valid_pct val_percent",
    "data.test_fraction": "test_split test_size test_ratio test_pct",
    "data.train_transforms": "transforms transform aug augs augmentation augmentations aa auto_augment batch_tfms",
    "data.random_erasing": "reprob erasing random_erase random_erasing_prob",
    "data.crop_to_box": "crop crop_box crop_bbox bbox use_bbox boxes",
    "data.split_seed": "data_seed",
    "data.exclude": "ignore skip exclude_file",
    "data.corrected_labels": "relabel relabel_file corrections fixed_labels",
    "data.folds": "num_folds n_folds kfold k_fold n_splits cv",
    "early_stopping.patience": "patience early_stop early_stopping early_stopping_patience es_patience",
    "unfreezing.epochs": (
        "freeze unfreeze unfreezing freeze_backbone freeze_encoder freeze_layers freeze_epochs unfreeze_epoch "
        "unfreeze_epochs frozen linear_probe"
    ),
    "tta.enabled": "tta test_time_augmentation use_tta",
    "distillation.teacher": "teacher distill distillation kd kd_model kd_model_name teacher_model",
    "ema.decay": "ema use_ema model_ema ema_decay model_ema_decay swa",
    "lr_finder.enabled": "lr_find auto_lr_find find_lr lr_finder",
    "batch_size_finder.enabled": "auto_batch_size auto_scale_batch_size auto_find_batch_size batch_size_finder",
    "predictions.top": "topk top_k",
    "predictions.file": "predictions prediction_file submission",
    "checkpoint.every_n_steps": "save_every save_steps save_period save_freq save_interval",
    "checkpoint.monitor": "monitor metric eval_metric metric_for_best_model",
    "seed_everything": "seed random_seed manual_seed random_state rng_seed",
    "ckpt_path": (
        "ckpt checkpoint checkpoint_path checkpoint_file resume resume_from resume_path resume_from_checkpoint restore "
        "load load_from load_checkpoint start_from resume_ckpt"
    ),
    "logs": (
        "output_dir out_dir outdir project log_dir logdir save_dir savedir work_dir workdir exp_dir logging_dir "
        "results_dir checkpoint_dir run_dir log_folder"
    ),
    "experiment": "exp exp_name experiment_name project_name",
    "name": "run_name run version",
    "output": "out o output_file output_path results_file save_path save_to save",
    "config": "cfg conf config_file config_path yaml cfg_file config_name",
}  # fmt: skip
_MEANT = {name: option for option, names in OPTIONS.items() for name in names.split()}
_COMMANDS_MEANT = {name: command for command, names in COMMANDS.items() for name in names.split()}
_SURE = 0.85  # of a slip of the pen rather than another program's word


def command_meant(word: str) -> str | None:
    """Find which command is meant by an unknown word, such as another program's name, perhaps misspelled.

    Args:
        word: What was typed in the place of a command.

    Returns:
        The command; None if no known word is like it.
    """
    plain = _plain(word)
    near = get_close_matches(plain, [*COMMANDS, *_COMMANDS_MEANT], n=1)
    return _COMMANDS_MEANT.get(plain) or next((_COMMANDS_MEANT.get(name, name) for name in near), None)


def option_meant(name: str, known: set[str]) -> str | None:
    """Find which option another program's name, or a name without its section, stands for.

    Args:
        name: What was typed, or the key of a config, without dashes in front.
        known: The options that there are; for a section's own parser, without the section.

    Returns:
        The option; None if none is meant for sure.
    """
    plain = _plain(name)
    if plain != name and plain in known:
        return plain
    section, _, last = plain.rpartition(".")
    siblings = {part[2]: option for option in known if (part := option.rpartition("."))[0] == section and section}
    slips = get_close_matches(last, siblings, n=1, cutoff=_SURE)
    if slips:
        return siblings[slips[0]]
    for word in (plain, last):
        meant = _MEANT.get(word)
        if meant in known:
            return meant
        if meant and meant.rpartition(".")[2] in known - {word}:
            return meant.rpartition(".")[2]
    ends = [option for option in known if option.rpartition(".")[2] == last and option != name]
    return ends[0] if len(ends) == 1 else None


def _plain(name: str) -> str:
    return name.lower().replace("-", "_").lstrip("_")
