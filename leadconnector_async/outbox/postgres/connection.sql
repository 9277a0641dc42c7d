-- server
SELECT pg_backend_pid(), pg_is_in_recovery(), current_setting('server_version_num')::int,
    CASE WHEN current_setting('synchronous_standby_names') = ''
        THEN (SELECT count(*) FROM pg_stat_replication) ELSE 0 END,
    current_setting('search_path'), current_setting('synchronous_commit')
