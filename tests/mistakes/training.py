"""Mistakes in the training loop: its batches, steps, schedules, callbacks and checkpoints."""

from tests.mistakes.planting import Body, Mistake

FIT = "vaebook/training/fit.py"
STATE = "vaebook/training/state.py"
BATCHES = "vaebook/training/batches.py"
CALLBACKS = "vaebook/training/callbacks.py"
OPTIMIZERS = "vaebook/training/optimizers.py"
RANDOM = "vaebook/_random.py"

STEPS = (
    Mistake(
        "no-shuffling",
        "Take the images in the order of the file.",
        BATCHES,
        "rows = torch.randperm(self.num_examples)",
        "rows = torch.arange(self.num_examples)",
        (
            "tests/vaebook/training/test_fit.py::test_the_order_is_new_each_epoch_and_follows_the_seed",
        ),
    ),
    Mistake(
        "order-from-the-models-noise",
        "Shuffle with the numbers that the model draws from: another model, another order.",
        STATE,
        "self._pass = self.batches.one_pass(self.order)\n",
        "self._pass = self.batches.one_pass(self.noise)\n",
        (
            "tests/vaebook/training/test_loop.py::"
            "test_the_order_does_not_depend_on_how_much_noise_the_model_draws",
            "tests/vaebook/training/test_loop.py::"
            "test_noise_of_the_model_does_not_depend_on_the_number_of_examples",
        ),
    ),
    Mistake(
        "last-batch-dropped",
        "Skip the smaller last batch without a word.",
        BATCHES,
        "math.floor(whole) if drop_last else math.ceil(whole)",
        "max(1, math.floor(whole))",
        (
            "tests/vaebook/training/test_fit.py::test_each_image_is_seen_once_per_epoch_the_last_batch_too",
        ),
    ),
    Mistake(
        "gradients-not-zeroed",
        "Forget zero_grad: each step adds up all gradients so far.",
        FIT,
        "            parameter.grad = None\n",
        "            pass\n",
        ("tests/vaebook/training/test_fit.py::test_it_is_the_loop_that_everybody_writes",),
    ),
    Mistake(
        "batches-averaged-evenly",
        "Report the mean of the batch means, although the last batch is smaller.",
        "vaebook/training/losses.py",
        Body("EpochLosses._take"),
        """
        for player, mean in enumerate(means):
            if not math.isfinite(mean):
                raise FloatingPointError(self.num_steps, player, mean)
            self.totals[player] += mean
        self.num_examples += 1
        self.num_steps += 1
        """,
        (
            "tests/vaebook/training/test_fit.py::test_the_loss_of_an_epoch_is_the_mean_over_images_not_over_batches",
        ),
    ),
    Mistake(
        "validated-on-the-training-images",
        "Measure the validation loss on the images that were trained on.",
        FIT,
        "_mean_loss(model, player, watched)",
        "_mean_loss(model, player, batches)",
        ("tests/vaebook/training/test_fit.py::test_validation_images_are_not_trained_on",),
    ),
    Mistake(
        "schedule-moved-twice",
        "Step the schedule in the loop and in the step.",
        STATE,
        "                scheduler.step()\n        if self.checkpoint_every",
        "                scheduler.step()\n                scheduler.step()\n"
        "        if self.checkpoint_every",
        (
            "tests/vaebook/training/test_loop.py::test_any_optimizer_and_schedule_is_the_loop_by_hand",
        ),
    ),
    Mistake(
        "plateau-by-the-training-loss",
        "Lower the rate by the training loss, although there are validation data.",
        STATE,
        'scheduler.step(row.get(f"validation_{player.column}", row[player.column]))',
        "scheduler.step(row[player.column])",
        (
            "tests/vaebook/training/test_loop.py::test_a_plateau_lowers_the_rate_by_the_validation_loss",
        ),
    ),
    Mistake(
        "one-rate-for-all-players",
        "Forget that a player's rate is a multiple of the others'.",
        OPTIMIZERS,
        'group["lr"] *= player.lr_factor',
        'group["lr"] *= 1.0',
        (
            "tests/vaebook/training/test_loop.py::test_each_player_has_its_own_optimiser_rate_and_schedule",
        ),
    ),
    Mistake(
        "rate-fixed-in-the-graph",
        "Capture a step with the learning rate of that moment: no schedule moves it.",
        "vaebook/training/capture.py",
        Body("make_capturable"),
        """
        for group in optimizer.param_groups:
            if "capturable" in group:
                group["capturable"] = True
                group["lr"] = float(group["lr"])
        """,
        (
            "tests/vaebook/training/test_loop.py::test_a_captured_step_would_read_the_rate_that_a_schedule_sets",
        ),
    ),
    Mistake(
        "losses-averaged-in-half-precision",
        "Take the mean in the type of the loss: bfloat16 has three digits.",
        FIT,
        "loss = losses.to(torch.promote_types(losses.dtype, torch.float32)).mean()",
        "loss = losses.mean()",
        (
            "tests/vaebook/training/test_loop.py::test_a_loss_in_half_precision_is_averaged_in_single",
        ),
    ),
    Mistake(
        "kl-in-half-precision",
        "Compute the loss in the precision of the networks.",
        "vaebook/models/vae.py",
        Body("VAE.posterior"),
        """
        check_images(images, self.image_shape, dtype=self.dtype)
        output = self.encoder(images.to(self.device))
        return POSTERIORS[self.posterior_family].build(output, self.latent_dim)
        """,
        (
            "tests/vaebook/models/test_latent_variable.py::test_under_bfloat16_only_the_networks_round",
        ),
    ),
    Mistake(
        "compiled-model-run-eagerly",
        "Train what torch.compile was given, and leave the compiled model aside.",
        "vaebook/training/players.py",
        "    if is_compiled(model):\n",
        "    if False:\n",
        ("tests/vaebook/training/test_loop.py::test_a_compiled_model_is_compiled",),
    ),
    Mistake(
        "loss-looked-at-too-late",
        "Take the step first and look at the loss then: all weights are NaN.",
        FIT,
        '        if loss.device.type == "cpu" and not math.isfinite(loss.detach()):\n'
        "            return [*means, loss.detach()]\n",
        "",
        (
            "tests/vaebook/training/test_loop.py::"
            "test_a_loss_that_is_no_number_is_named_with_its_term_and_moves_nothing",
        ),
    ),
    Mistake(
        "loader-checked-in-each-epoch",
        "Look at all values again in each pass.",
        BATCHES,
        "            self._checked = self._checked or index == self.length\n",
        "",
        (
            "tests/vaebook/training/test_batches.py::test_data_are_checked_once_and_not_in_each_step",
        ),
    ),
    Mistake(
        "mask-left-behind",
        "Take every entry that is no NaN for observed, whatever the mask says.",
        "vaebook/models/incomplete_vae.py",
        Body("IncompleteVAE.loss"),
        """
        values, observed = self._table(values, None)
        codes = self.posterior(values, observed).rsample((self.num_importance,))
        log_weights = self.log_weights(values, observed, codes)
        return math.log(self.num_importance) - torch.logsumexp(log_weights, 0)
        """,
        ("tests/vaebook/training/test_batches.py::test_a_mask_goes_to_the_loss_with_its_rows",),
    ),
)

LIVES = (
    Mistake(
        "callback-remembers-the-run-before",
        "Use one KeepBest for two models: the second ends with the weights of the first.",
        CALLBACKS,
        '        """Forget the best epoch of an earlier run."""\n        self._forget()\n',
        '        """Forget the best epoch of an earlier run."""\n',
        (
            "tests/vaebook/training/test_callbacks.py::test_one_keep_best_serves_several_seeds",
            "tests/vaebook/training/test_callbacks.py::test_keep_best_forgets_a_better_run_before",
        ),
    ),
    Mistake(
        "callbacks-draw-from-the-models-noise",
        "Let a callback that shows samples draw from the generator that trains.",
        STATE,
        "            with self.callback_noise, still_training(self.model):\n"
        "                for callback in self.callbacks:\n                    new",
        "            with still_training(self.model):\n"
        "                for callback in self.callbacks:\n                    new",
        ("tests/vaebook/training/test_callbacks.py::test_what_a_callback_draws_changes_nothing",),
    ),
    Mistake(
        "one-bad-end-for-all",
        "Let the first callback that fails at the end keep the others from theirs.",
        STATE,
        "                except BaseException as failure:",
        "                except KeyError as failure:",
        (
            "tests/vaebook/training/test_callbacks.py::test_every_callback_that_began_ends_once_whatever_the_others_do",
        ),
    ),
    Mistake(
        "seeding-the-users-program",
        "Seed torch's global generator inside a library.",
        RANDOM,
        "        finally:\n            _write(self._outer)\n",
        "        finally:\n            pass\n",
        ("tests/vaebook/training/test_fit.py::test_the_global_generator_is_left_alone",),
    ),
)

CHECKPOINTS = (
    Mistake(
        "resumed-without-the-optimiser",
        "Save and load the weights only: Adam starts from nothing after each stop.",
        STATE,
        "            _load_optimizer(optimizer, kept)\n",
        "            pass\n",
        ("tests/vaebook/training/test_resume.py::test_a_run_that_breaks_off_anywhere_goes_on",),
    ),
    Mistake(
        "resumed-without-one-players-optimiser",
        "Keep the optimiser of the first player only.",
        STATE,
        'zip(self.optimizers, state["optimizers"], strict=True)',
        'zip(self.optimizers[:1], state["optimizers"], strict=False)',
        ("tests/vaebook/training/test_resume.py::test_all_that_has_a_state_goes_on",),
    ),
    Mistake(
        "resumed-with-the-same-noise",
        "Start the noise anew at each resume.",
        STATE,
        '        self.noise.load_state_dict(state["streams"]["noise"])\n',
        "",
        ("tests/vaebook/training/test_resume.py::test_a_run_that_breaks_off_anywhere_goes_on",),
    ),
    Mistake(
        "resumed-in-the-first-order",
        "Start the order of the data anew at each resume.",
        STATE,
        '            self.order.load_state_dict(state["streams"]["order"])\n',
        "            pass\n",
        ("tests/vaebook/training/test_resume.py::test_a_run_that_breaks_off_anywhere_goes_on",),
    ),
    Mistake(
        "resumed-at-the-start-of-the-epoch",
        "Resume in the middle of an epoch with its first batch.",
        STATE,
        "self.batches.one_pass(self.order, skip=self._taken)",
        "self.batches.one_pass(self.order)",
        ("tests/vaebook/training/test_resume.py::test_a_run_that_breaks_off_anywhere_goes_on",),
    ),
    Mistake(
        "cut-epoch-closed",
        "Close an epoch that the end of a run cut short: a longer run leaves out the rest of it.",
        STATE,
        "whole = self._pass is None or self._epoch_steps == length",
        "whole = True",
        (
            "tests/vaebook/training/test_resume.py::test_an_epoch_that_was_cut_short_goes_on_in_a_longer_run",
        ),
    ),
    Mistake(
        "nan-over-the-good-checkpoint",
        "Write a checkpoint without a look at the weights.",
        STATE,
        "            self._check_numbers()\n            self.save()\n",
        "            self.save()\n",
        (
            "tests/vaebook/training/test_resume.py::test_a_gradient_that_is_no_number_is_never_written",
        ),
    ),
    Mistake(
        "resumed-with-another-model",
        "Compare shapes only: a run goes on with another beta or activation.",
        FIT,
        "description(model) if checkpoint is not None else {}",
        "{}",
        ("tests/vaebook/training/test_resume.py::test_what_differs_is_refused_and_named",),
    ),
    Mistake(
        "resumed-with-other-images",
        "Tell data by their shape.",
        FIT,
        "        fingerprint=checkpoint is not None,\n",
        "        fingerprint=False,\n",
        ("tests/vaebook/training/test_resume.py::test_what_differs_is_refused_and_named",),
    ),
)

TRAINING: tuple[Mistake, ...] = (*STEPS, *LIVES, *CHECKPOINTS)
