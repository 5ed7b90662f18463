-- The ledger that walletd is compared with: stored procedures, one round trip a command, as fast as we could make it.
--
-- A command's id works once and keeps its outcome; rows are locked in the order of their ids, so that nothing
-- deadlocks; nobody spends what is not there; every wallet has its postings with what it had after each, by version,
-- which is also the order of its statement.  Velocity is counted by the minute, which is coarser than walletd's exact
-- window, and cheaper.

CREATE TABLE wallet (
    id int PRIMARY KEY, posted bigint NOT NULL, held bigint NOT NULL DEFAULT 0, version bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 50);
CREATE TABLE command (id bigint PRIMARY KEY, at timestamptz NOT NULL DEFAULT now(), refusal text);
CREATE TABLE posting (
    wallet int, version bigint, command bigint NOT NULL, amount bigint NOT NULL, posted_after bigint NOT NULL,
    at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (wallet, version)
);
CREATE TABLE outflow (wallet int, minute int, amount bigint NOT NULL, PRIMARY KEY (wallet, minute))
    WITH (fillfactor = 50);
CREATE TABLE velocity (wallet int PRIMARY KEY, minutes int NOT NULL, most bigint NOT NULL);
CREATE TABLE hold (id bigint PRIMARY KEY, wallet int NOT NULL, amount bigint NOT NULL, is_open boolean NOT NULL)
    WITH (fillfactor = 70);

INSERT INTO wallet (id, posted) SELECT n, 1000000000000 FROM generate_series(0, :wallets - 1) AS n;
INSERT INTO velocity SELECT n, 60, 1000000000000 FROM generate_series(0, :wallets - 1) AS n;

-- What is left of a transfer once its wallets are locked; null, or why not.
CREATE FUNCTION moved(asked bigint, source int, target int, sum bigint) RETURNS text LANGUAGE plpgsql AS $$
DECLARE spent wallet; got wallet;
BEGIN
    UPDATE wallet SET posted = posted - sum, version = version + 1 WHERE id = source AND posted - held >= sum
        RETURNING * INTO spent;
    IF NOT FOUND THEN
        UPDATE command SET refusal = 'insufficient_funds' WHERE id = asked;
        RETURN 'insufficient_funds';
    END IF;
    UPDATE wallet SET posted = posted + sum, version = version + 1 WHERE id = target RETURNING * INTO got;
    INSERT INTO posting (wallet, version, command, amount, posted_after) VALUES
        (source, spent.version, asked, -sum, spent.posted), (target, got.version, asked, sum, got.posted);
    RETURN NULL;
END $$;

CREATE FUNCTION transfer(asked bigint, source int, target int, sum bigint) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO command (id) VALUES (asked) ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        RETURN (SELECT refusal FROM command WHERE id = asked);
    END IF;
    PERFORM 1 FROM wallet WHERE id IN (source, target) ORDER BY id FOR UPDATE;
    RETURN moved(asked, source, target, sum);
END $$;

CREATE FUNCTION limited_transfer(asked bigint, source int, target int, sum bigint) RETURNS text LANGUAGE plpgsql AS $$
DECLARE minute_now int := extract(epoch FROM now())::bigint / 60; rule velocity;
BEGIN
    INSERT INTO command (id) VALUES (asked) ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        RETURN (SELECT refusal FROM command WHERE id = asked);
    END IF;
    PERFORM 1 FROM wallet WHERE id IN (source, target) ORDER BY id FOR UPDATE;
    SELECT * INTO rule FROM velocity WHERE wallet = source;
    IF rule.most < sum + (
        SELECT coalesce(sum(o.amount), 0) FROM outflow o WHERE o.wallet = source AND o.minute > minute_now - rule.minutes
    ) THEN
        UPDATE command SET refusal = 'velocity_exceeded' WHERE id = asked;
        RETURN 'velocity_exceeded';
    END IF;
    INSERT INTO outflow VALUES (source, minute_now, sum)
        ON CONFLICT (wallet, minute) DO UPDATE SET amount = outflow.amount + excluded.amount;
    RETURN moved(asked, source, target, sum);
END $$;

-- A thousand transfers, each for itself: one that cannot be paid is refused, the others stand.
CREATE FUNCTION transfer_each(asked bigint[], sources int[], targets int[], sums bigint[]) RETURNS int
LANGUAGE plpgsql AS $$
DECLARE done int := 0;
BEGIN
    PERFORM 1 FROM wallet WHERE id = ANY (sources || targets) ORDER BY id FOR UPDATE;
    FOR i IN 1 .. cardinality(asked) LOOP
        INSERT INTO command (id) VALUES (asked[i]) ON CONFLICT DO NOTHING;
        IF FOUND AND moved(asked[i], sources[i], targets[i], sums[i]) IS NULL THEN
            done := done + 1;
        END IF;
    END LOOP;
    RETURN done;
END $$;

-- A thousand transfers, all or none, as sets: each wallet is written once.
CREATE FUNCTION transfer_all(asked bigint[], sources int[], targets int[], sums bigint[]) RETURNS int
LANGUAGE plpgsql AS $$
DECLARE least bigint;
BEGIN
    PERFORM 1 FROM wallet WHERE id = ANY (sources || targets) ORDER BY id FOR UPDATE;
    INSERT INTO command (id) SELECT unnest(asked);
    WITH side AS (
        SELECT t.source AS wallet, t.command, -t.amount AS amount, 2 * t.place AS place
        FROM unnest(asked, sources, targets, sums) WITH ORDINALITY AS t(command, source, target, amount, place)
        UNION ALL
        SELECT t.target, t.command, t.amount, 2 * t.place + 1
        FROM unnest(asked, sources, targets, sums) WITH ORDINALITY AS t(command, source, target, amount, place)
    ), run AS (
        SELECT side.wallet, side.command, side.amount,
            row_number() OVER step AS nth, sum(side.amount) OVER step AS so_far
        FROM side WINDOW step AS (PARTITION BY side.wallet ORDER BY side.place)
    ), total AS (
        SELECT side.wallet, sum(side.amount) AS change, count(*) AS times FROM side GROUP BY side.wallet
    ), changed AS (
        UPDATE wallet SET posted = posted + total.change, version = version + total.times FROM total
        WHERE wallet.id = total.wallet
        RETURNING wallet.id, posted - total.change AS posted_before, version - total.times AS version_before, held
    ), written AS (
        INSERT INTO posting (wallet, version, command, amount, posted_after)
        SELECT run.wallet, changed.version_before + run.nth, run.command, run.amount, changed.posted_before + run.so_far
        FROM run JOIN changed ON changed.id = run.wallet
        RETURNING wallet, posted_after
    )
    SELECT min(written.posted_after - changed.held) INTO least
    FROM written JOIN changed ON changed.id = written.wallet;
    IF least < 0 THEN
        RAISE EXCEPTION 'insufficient_funds';
    END IF;
    RETURN cardinality(asked);
END $$;

CREATE FUNCTION place_hold(asked bigint, payer int, sum bigint) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO command (id) VALUES (asked) ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        RETURN (SELECT refusal FROM command WHERE id = asked);
    END IF;
    UPDATE wallet SET held = held + sum WHERE id = payer AND posted - held >= sum;
    IF NOT FOUND THEN
        UPDATE command SET refusal = 'insufficient_funds' WHERE id = asked;
        RETURN 'insufficient_funds';
    END IF;
    INSERT INTO hold VALUES (asked, payer, sum, true);
    RETURN NULL;
END $$;

CREATE FUNCTION capture_hold(asked bigint, placed bigint, target int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE found_hold hold;
BEGIN
    INSERT INTO command (id) VALUES (asked) ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        RETURN (SELECT refusal FROM command WHERE id = asked);
    END IF;
    UPDATE hold SET is_open = false WHERE id = placed AND is_open RETURNING * INTO found_hold;
    IF NOT FOUND THEN
        UPDATE command SET refusal = 'hold_not_open' WHERE id = asked;
        RETURN 'hold_not_open';
    END IF;
    PERFORM 1 FROM wallet WHERE id IN (found_hold.wallet, target) ORDER BY id FOR UPDATE;
    UPDATE wallet SET held = held - found_hold.amount WHERE id = found_hold.wallet;
    RETURN moved(asked, found_hold.wallet, target, found_hold.amount);
END $$;
