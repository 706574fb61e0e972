function sonoray_rwave(checkout, input_file, output_file)
% Run one job with the functions of an r-Wave checkout and time it with cputime; called by bench/peers/rwave_octave.py.
%
% checkout     folder that holds functions-raytracing and functions-main
% input_file   MAT v5: task ('trace', 'link' or 'pick') and what the task below reads
% output_file  MAT v5: the task's results and cpu [s], what its calls took

add_folders(checkout);
job = load(input_file);
switch job.task
    case 'trace'
        result = trace_rays(job);
    case 'link'
        result = link_pairs(job);
    case 'pick'
        result = pick_times(job);
    otherwise
        error('task: expected trace, link or pick, got %s', job.task);
end
result.version = version();
result.interpreter = 'MATLAB';
if exist('OCTAVE_VERSION', 'builtin')
    result.interpreter = 'GNU Octave';
end
save(output_file, '-struct', 'result', '-v7');
end


function add_folders(checkout)
here = fileparts(mfilename('fullpath'));
if ~exist('wrapToPi', 'file')  % the mapping toolbox's; not in Octave's core
    addpath(fullfile(here, 'octave'));
end
addpath(fullfile(checkout, 'functions-raytracing'));
addpath(fullfile(checkout, 'functions-main'));
windows = dir(fullfile(checkout, 'k-wave-toolbox*'));  % its time windows, for picking
if ~isempty(windows)
    addpath(fullfile(checkout, windows(1).name, 'k-Wave'));
end
end


function result = trace_rays(job)
% Rays from one point through n(x, y) to the antipode: job.scheme, n, x, h, ds, start (2, 1), directions (2, rays).
% The last argument of a tracer asks for the row of the projector, from which the acoustic length follows.
tracer = tracer_of(job.scheme);
size_of = size(job.n);
first = [job.x(1); job.x(1)];
last = [job.x(end); job.x(end)];
coefficients = interpolation_of(job);
everywhere = true(size_of);
count = size(job.directions, 2);
result.length = zeros(1, count);
result.points = zeros(1, count);
result.finish = zeros(2, count);
x = job.x(:);
n = job.n(:);
begin = cputime();
for i = 1:count
    [finish, row, nodes] = tracer(job.n, coefficients, job.start, job.directions(:, i), x, x, [], first, last, ...
        job.h, job.ds, size_of, 2, '1', everywhere, true);
    result.length(i) = full(row' * n);
    result.points(i) = size(nodes, 2);
    result.finish(:, i) = finish;
end
result.cpu = cputime() - begin;
end


function tracer = tracer_of(scheme)
names = struct('mixed', 'calcRayMixedStep', 'dual', 'calcRayDualUpdate', ...
    'characteristics', 'calcRayCharacteristics', 'heun', 'calcRayRungeKutta2nd');
tracer = str2func(names.(scheme));
end


function coefficients = interpolation_of(job)
% What the tracers expect: gradients of the map (bilinear), or the uniform cubic B-spline as polynomials in the
% fraction of a cell, highest power first, for the nodes -1, 0, 1, 2 of every axis.
if strcmp(job.interpolation, 'linear')
    [gy, gx] = gradient(job.n, job.h, job.h);
    coefficients = struct('refractive_gradient_x', gx, 'refractive_gradient_y', gy, 'refractive_gradient_z', []);
    return
end
[ix, iy] = ndgrid(-1:2, -1:2);
value = [-1 3 -3 1; 3 -6 0 4; -3 3 3 1; 1 0 0 0] / 6;
slope = value(:, 1:3) .* [3 2 1] / job.h;
coefficients = struct('raytogrid_indices_x', ix(:), 'raytogrid_indices_y', iy(:), 'raytogrid_indices_z', [], ...
    'raytogrid_coeff_matrix', value, 'raytogrid_coeff_derivative_matrix', slope);
end


function result = link_pairs(job)
% All emitters to all receivers: job.n, x, h, emitters (2, n), receivers (2, n), step (in cells), window, linker,
% minimum_distance, and optionally angles (receivers, emitters) to start from.
grid = struct('dim', 2, 'dx', job.h, 'Nx', numel(job.x), 'Ny', numel(job.x), 'x_vec', job.x(:), ...
    'y_vec', job.x(:), 'size', size(job.n));
options = {'nworker_pool', 1, 'emittersegments_to_nworkers', 1, 'smoothing_window_size', job.window, ...
    'binaries_emitter_receiver', 'distances', 'minimum_distance', job.minimum_distance, ...
    'raytogrid_spacing', job.step, 'raylinking_method', job.linker, 'raytracing_method', job.tracer, ...
    'interp_method', job.interpolation};
start = [];
if isfield(job, 'angles')
    start = num2cell(job.angles.', 2);
end
begin = cputime();
[matrix, ends, traces, angles] = calcTransmissionMatrix(grid, job.n, job.emitters, job.receivers, start, ...
    true(size(job.n)), [], [], options{:});
result.cpu = cputime() - begin;
smooth = smoothField(job.n, job.window, 1);
shape = [size(job.receivers, 2), size(job.emitters, 2)];
result.smooth = smooth;
result.length = reshape(full(matrix * smooth(:)), shape);
result.traces = reshape(traces, shape);
result.finish = cat(3, ends{:});
result.angles = [];
if ~isempty(angles)
    result.angles = reshape([angles{:}], shape);
end
end


function result = pick_times(job)
% First arrivals of job.data (receivers, samples, emitters): time, emitters, receivers, speeds, duration, threshold.
emitter = struct('positions', job.emitters, 'pulse_duration', job.duration, 'shot_time', 0);
receiver = struct('positions', job.receivers);
begin = cputime();
[~, times] = timeOfFlightPicking(job.data, [], emitter, receiver, job.time, [], 'Plot', false, 'nWorkerPool', 1, ...
    'SoundSpeedRanges', job.speeds, 'binaries_emitter_receiver', 'distances', 'minimum_distance', ...
    job.minimum_distance, 'Threshold', job.threshold);
result.cpu = cputime() - begin;
result.times = reshape(times, size(job.receivers, 2), size(job.emitters, 2));
end
